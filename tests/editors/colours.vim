" vim -es -u NONE -S colours.vim: the groups of every byte of the files in $LQFT_FILES, and
" the text after indenting all of it, one file after the other, into $LQFT_OUT.
set nocompatible encoding=utf-8
let &runtimepath = $LQFT_VIM . ',' . &runtimepath
filetype plugin indent on
syntax on
let s:out = []
for s:path in split($LQFT_FILES, "\n")
  execute 'edit' fnameescape(s:path)
  if &filetype !=# 'lqft' | call add(s:out, 'filetype ' . &filetype) | endif
  call add(s:out, 'file ' . s:path)
  for s:n in range(1, line('$'))
    let s:groups = []
    for s:col in range(1, strlen(getline(s:n)))
      call add(s:groups, synIDattr(synID(s:n, s:col, 1), 'name'))
    endfor
    call add(s:out, join(s:groups, ','))
  endfor
  call add(s:out, 'indented')
  silent normal! gg=G
  call extend(s:out, getline(1, '$'))
  set nomodified
endfor
call writefile(s:out, $LQFT_OUT)
qall!
