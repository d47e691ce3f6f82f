" Filetype plugin: comments, words, `:make` checks the model, K explains an error code.
if exists('b:did_ftplugin')
  finish
endif
let b:did_ftplugin = 1

setlocal comments=b:##,b:#
setlocal commentstring=#\ %s
setlocal formatoptions-=t
setlocal formatoptions+=croql
" a prime belongs to a name; letters of other alphabets do so by themselves
setlocal iskeyword=@,48-57,_,39
setlocal expandtab
setlocal shiftwidth=2
setlocal softtabstop=2
setlocal suffixesadd=.lqft
setlocal include=^\\s*import
setlocal includeexpr=substitute(v:fname,'\\.','/','g')
setlocal define=^\\s*\\%(param\\\|axis\\\|grid\\\|lattice\\\|field\\\|data\\\|def\\\|action\\\|observable\\\|sampler\\\|report\\)
if executable('lqft')
  setlocal keywordprg=lqft\ explain
endif
compiler lqft

let b:undo_ftplugin = 'setlocal comments< commentstring< formatoptions< iskeyword< expandtab< shiftwidth< '
      \ . 'softtabstop< suffixesadd< include< includeexpr< define< keywordprg< makeprg< errorformat<'
