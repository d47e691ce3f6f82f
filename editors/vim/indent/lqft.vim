" Indentation of lqft, as `lqft fmt` has it: two blanks a brace, and under the first word
" after an open bracket.
if exists('b:did_indent')
  finish
endif
let b:did_indent = 1

setlocal indentexpr=LqftIndent(v:lnum)
setlocal indentkeys=0{,0},0),0],!^F,o,O
setlocal nolisp nosmartindent
let b:undo_indent = 'setlocal indentexpr< indentkeys< lisp< smartindent<'

if exists('*LqftIndent')
  finish
endif

" The text of a line without strings and comment; other letters keep their places.
function! s:Code(lnum) abort
  let text = substitute(getline(a:lnum), '"\%(\\.\|[^"\\]\)*"\=', '\=repeat("_", strlen(submatch(0)))', 'g')
  return substitute(text, '#.*$', '', '')
endfunction

" The line where the declaration around it begins: not indented, not a comment.
function! s:Begin(lnum) abort
  let n = a:lnum
  while n > 1 && s:Code(n) !~# '^[^[:blank:])\]}]'
    let n -= 1
  endwhile
  return n
endfunction

function! LqftIndent(lnum) abort
  let last = prevnonblank(a:lnum - 1)
  if last == 0
    return 0
  endif
  " brackets still open before this line: [kind, line, byte behind it, line where its
  " statement begins]
  let open = []
  let begin = s:Begin(last)
  for n in range(begin, last)
    let code = s:Code(n)
    let begin = empty(open) || open[-1][0] ==# '{' ? n : begin
    for at in range(strlen(code))
      let c = code[at]
      if c =~# '[(\[{]'
        call add(open, [c, n, at + 1, begin])
      elseif c =~# '[)\]}]' && !empty(open)
        call remove(open, -1)
      endif
    endfor
  endfor
  let own = s:Code(a:lnum)
  " a line that goes on with the one before stays where it is, if it is indented further
  let goes_on = own =~# '^\s*\%([-+*/^=~,.]\|\%(then\|else\|with\|of\|to\|as\|and\|or\)\>\)'
        \ || s:Code(last) =~# '\%([-+*/^=~,.]\|\<\%(and\|or\|not\|then\|else\|with\)\)\s*$'
  if empty(open)
    return !goes_on ? 0 : indent(a:lnum) > 0 ? indent(a:lnum) : 4
  endif
  let [kind, line, behind, begin] = open[-1]
  let of_begin = indent(begin)
  if own =~# '^\s*[)\]}]' && (kind ==# '{' || s:Code(line)[behind :] =~# '^\s*$')
    return of_begin
  endif
  let rest = strpart(s:Code(line), behind)
  if kind ==# '{' || rest =~# '^\s*$'
    let base = of_begin + shiftwidth()
    return goes_on && kind ==# '{' ? max([indent(a:lnum), base]) : base
  endif
  return strdisplaywidth(strpart(getline(line), 0, behind + strlen(matchstr(rest, '^\s*'))))
endfunction
