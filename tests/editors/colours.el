;; emacs --batch -l lqft-mode.el -l colours.el FILE …: for each file the runs of faces in bytes,
;; then its text after indenting all of it, into $LQFT_OUT.
(setq-default inhibit-message t)
(defun out (text)
  (let ((coding-system-for-write 'utf-8-unix)) (write-region text nil (getenv "LQFT_OUT") t 'silent)))
(dolist (path command-line-args-left)
  (with-temp-buffer
    (let ((coding-system-for-read 'utf-8-unix)) (insert-file-contents path))
    (lqft-mode)
    (font-lock-ensure)
    (out (format "file %s\n" path))
    (let ((at (point-min)))
      (while (< at (point-max))
        (let ((next (next-single-property-change at 'face nil (point-max)))
              (face (get-text-property at 'face)))
          (when face
            (out (format "%d %d %s\n" (1- (position-bytes at)) (1- (position-bytes next)) face)))
          (setq at next))))
    (out "indented\n")
    (indent-region (point-min) (point-max))
    (out (buffer-string))))
(setq command-line-args-left nil)
