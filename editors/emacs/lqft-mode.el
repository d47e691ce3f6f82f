;;; lqft-mode.el --- Major mode for lqft model files  -*- lexical-binding: t; coding: utf-8 -*-

;; Version: 0.1
;; Package-Requires: ((emacs "25.1"))
;; Keywords: languages

;;; Commentary:

;; Colours, comments, indentation as `lqft fmt' has it, M-x compile with `lqft check', and
;; M-x lqft-format-buffer.  Add the folder of this file to `load-path' and (require 'lqft-mode).

;;; Code:

(require 'compile)

(defgroup lqft nil
  "Lattice field theory models."
  :group 'languages)

(defcustom lqft-program "lqft"
  "The compiler."
  :type 'string)

(defcustom lqft-indent-offset 2
  "Blanks for each brace."
  :type 'integer
  :safe #'integerp)

;; The lists between `words:' and `end words' are written by editors/generate.py from the
;; table of the compiler.
;; words:
(defconst lqft-declarations
  '("import" "param" "axis" "grid" "lattice" "field" "data" "def"
    "action" "observable" "symmetry" "loss" "kernel" "layer" "network" "sampler" "optimizer"
    "scan" "sample" "minimize" "report" "plot" "save" "print")
  "Words of the class declaration.")
(defconst lqft-statements
  '("repeat" "while" "for" "return" "accept" "monitor" "state" "warn"
    "reversible" "if" "then" "else")
  "Words of the class statement.")
(defconst lqft-operators
  '("and" "or" "not" "in")
  "Words of the class operator.")
(defconst lqft-joints
  '("with" "over" "of" "to" "as")
  "Words of the class joint.")
(defconst lqft-constants
  '("true" "false" "pi" "inf")
  "Words of the class constant.")
(defconst lqft-reserveds
  '("flow" "schedule")
  "Words of the class reserved.")
(defconst lqft-specials
  '("E" "grad" "warmup" "accepted" "iteration" "progress" "weight" "stop"
    "from" "keep")
  "Words of the class special.")
(defconst lqft-binders
  '("sum" "prod" "max" "min" "mean" "integral")
  "Words of the class binder.")
(defconst lqft-kinds
  '("real" "positive" "angle" "complex" "spin")
  "Words of the class kind.")
(defconst lqft-makers
  '("torus" "box" "linspace" "logspace" "points" "load")
  "Words of the class maker.")
(defconst lqft-boundaries
  '("periodic" "antiperiodic" "open")
  "Words of the class boundary.")
(defconst lqft-settings
  '("chains" "warmup" "draws" "thin" "precision" "start" "steps" "until")
  "Words of the class setting.")
(defconst lqft-choices
  '("hot" "cold" "single" "double")
  "Words of the class choice.")
(defconst lqft-plots
  '("histogram" "history" "density" "paths" "lines" "map" "errors")
  "Words of the class plot.")
(defconst lqft-functions
  '("exp" "expm1" "log" "log1p" "sin" "cos" "tan" "asin" "acos" "atan"
    "sinh" "cosh" "tanh" "asinh" "acosh" "atanh" "erf" "lgamma" "erfc" "digamma" "log_i0"
    "bessel_ratio" "softplus" "sigmoid" "sqrt" "abs" "sign" "floor" "round" "atan2" "pow" "hash"
    "mod" "min" "max" "Re" "Im" "conj" "arg" "sum" "prod" "mean" "volume" "size" "step" "extent"
    "position" "vary" "sites" "zeros" "identity" "window" "block" "coarse" "fine" "difference"
    "colour" "colours" "svd" "eigh" "cholesky" "solve" "logdet" "spread" "flat" "shaped" "normal"
    "uniform" "exponential")
  "Words of the class function.")
;; end words

(defvar lqft-mode-syntax-table
  (let ((table (make-syntax-table)))
    (modify-syntax-entry ?# "<" table)
    (modify-syntax-entry ?\n ">" table)
    (modify-syntax-entry ?\" "\"" table)
    (modify-syntax-entry ?\\ "\\" table)
    (modify-syntax-entry ?_ "w" table)
    (modify-syntax-entry ?' "w" table)
    (dolist (c '(?+ ?- ?* ?/ ?^ ?< ?> ?= ?~ ?% ?& ?| ?.))
      (modify-syntax-entry c "." table))
    table)
  "Letters, digits, _ and \\=' make names; # begins a comment.")

(defun lqft--words (words)
  "A regular expression for one of WORDS that is no member of something."
  (concat "\\(?:^\\|[^.']\\|\\.\\.\\)\\_<\\(" (regexp-opt words) "\\)\\_>"))

(defvar lqft-font-lock-keywords
  `((,(lqft--words lqft-declarations) 1 font-lock-keyword-face)
    (,(lqft--words lqft-statements) 1 font-lock-keyword-face)
    (,(lqft--words lqft-joints) 1 font-lock-keyword-face)
    (,(lqft--words lqft-operators) 1 font-lock-keyword-face)
    (,(lqft--words lqft-constants) 1 font-lock-constant-face)
    (,(lqft--words lqft-reserveds) 1 font-lock-warning-face)
    (,(lqft--words lqft-specials) 1 font-lock-builtin-face)
    (,(concat (lqft--words lqft-binders) "[ \t]*\\[") 1 font-lock-builtin-face)
    (,(concat (lqft--words (append lqft-functions lqft-makers)) "[ \t]*(") 1 font-lock-builtin-face)
    (,(concat ":[ \t]*" "\\_<" (regexp-opt lqft-kinds t) "\\_>") 1 font-lock-type-face)
    ("\\_<\\(?:def\\|action\\|observable\\|sampler\\)[ \t]+\\([^][ \t\n(){};,=]+\\)"
     1 font-lock-function-name-face)
    ("\\_<\\(?:param\\|axis\\|grid\\|lattice\\|field\\|data\\|report\\)[ \t]+\\([^][ \t\n(){};,=:]+\\)"
     1 font-lock-variable-name-face))
  "What `lqft-mode' colours besides comments and strings.")

(defun lqft--goes-on-p ()
  "Does the line at point, at its first letter, go on with the one before?"
  (or (looking-at-p "[-+*/^=~,.]\\|\\_<\\(?:then\\|else\\|with\\|of\\|to\\|as\\|and\\|or\\)\\_>")
      (save-excursion
        (beginning-of-line)
        (forward-comment (- (point)))
        (looking-back "[-+*/^=~,.]\\|\\_<\\(?:and\\|or\\|not\\|then\\|else\\|with\\)" (line-beginning-position)))))

(defun lqft--open ()
  "The place of the bracket in which the line at point begins, or nil."
  (save-excursion (nth 1 (syntax-ppss (line-beginning-position)))))

(defun lqft--to-statement ()
  "Go to where the statement around the line at point begins."
  (let (open)
    (while (and (setq open (lqft--open))
                (memq (char-after open) '(?\( ?\[)))
      (goto-char open))
    (back-to-indentation)))

(defun lqft-indentation ()
  "The column where the line at point belongs."
  (save-excursion
    (back-to-indentation)
    (let ((open (lqft--open))
          (closing (looking-at-p "[])}]"))
          (column (current-column))
          (goes-on (lqft--goes-on-p)))
      (if (not open)
          (cond ((not goes-on) 0) ((> column 0) column) (t 4))
        (goto-char (1+ open))
        (skip-chars-forward " \t")
        (let ((brace (eq (char-after open) ?{))
              (last (or (eolp) (eq (char-after) ?#)))
              (inside (current-column)))
          (lqft--to-statement)
          (cond ((and closing (or brace last)) (current-column))
                ((and brace goes-on) (max column (+ (current-column) lqft-indent-offset)))
                ((or brace last) (+ (current-column) lqft-indent-offset))
                (t inside)))))))

(defun lqft-indent-line ()
  "Indent the line at point."
  (interactive)
  (let ((column (lqft-indentation)))
    (if (<= (current-column) (current-indentation))
        (indent-line-to column)
      (save-excursion (indent-line-to column)))))

(defun lqft-format-buffer ()
  "Put the buffer into the form of `lqft fmt'."
  (interactive)
  (let ((out (generate-new-buffer " *lqft fmt*"))
        (coding-system-for-read 'utf-8)
        (coding-system-for-write 'utf-8))
    (unwind-protect
        (if (zerop (call-process-region nil nil lqft-program nil (list out nil) nil "fmt" "-"))
            (replace-buffer-contents out)
          (user-error "The text has mistakes: M-x compile shows them"))
      (kill-buffer out))))

;; model.lqft:7:12: error[E0201]: nothing here is called `kapa`
(defconst lqft--messages
  '("^\\([^ \t\n:][^\n:]*\\):\\([0-9]+\\):\\([0-9]+\\): \\(?:error\\|\\(warning\\)\\)\\[[A-Z][0-9]+\\]:"
    1 2 3 (4)))
(add-to-list 'compilation-error-regexp-alist-alist (cons 'lqft lqft--messages))
(add-to-list 'compilation-error-regexp-alist 'lqft)

(defvar lqft-mode-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "C-c C-f") #'lqft-format-buffer)
    (define-key map (kbd "C-c C-c") #'compile)
    map)
  "Keys of `lqft-mode'.")

;;;###autoload
(define-derived-mode lqft-mode prog-mode "lqft"
  "Major mode for lqft model files."
  (setq-local comment-start "# ")
  (setq-local comment-end "")
  (setq-local comment-start-skip "#+[ \t]*")
  (setq-local indent-tabs-mode nil)
  (setq-local indent-line-function #'lqft-indent-line)
  (setq-local electric-indent-chars (append "{})]" electric-indent-chars))
  (setq-local font-lock-defaults '(lqft-font-lock-keywords))
  (setq-local imenu-generic-expression
              '((nil "^\\(?:def\\|action\\|observable\\|sampler\\)[ \t]+\\([^][ \t\n(){};,=]+\\)" 1)
                ("Report" "^[ \t]*report[ \t]+\\([^][ \t\n(){};,=]+\\)" 1)))
  (when buffer-file-name
    (setq-local compile-command
                (format "%s check %s" lqft-program (shell-quote-argument (file-name-nondirectory buffer-file-name))))))

;;;###autoload
(add-to-list 'auto-mode-alist '("\\.lqft\\'" . lqft-mode))

(provide 'lqft-mode)
;;; lqft-mode.el ends here
