" vim -es -u NONE -S messages.vim: `:make` on $LQFT_FILES, and what stands in the list of
" errors, into $LQFT_OUT.
set nocompatible encoding=utf-8 shellpipe=>%s\ 2>&1
let &runtimepath = $LQFT_VIM . ',' . &runtimepath
filetype plugin indent on
execute 'edit' fnameescape($LQFT_FILES)
silent make!
let s:out = []
for s:e in getqflist()
  if s:e.valid
    call add(s:out, join([fnamemodify(bufname(s:e.bufnr), ':t'), s:e.lnum, s:e.col, s:e.type, s:e.nr, s:e.text], '|'))
  endif
endfor
call writefile(s:out, $LQFT_OUT)
qall!
