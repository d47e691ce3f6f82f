" `:make` runs `lqft check` on the file; `:make name=value` sets parameters.
"
"   model.lqft:7:12: error[E0201]: nothing here is called `kapa`
"   7 | report r = 2*kapa
"     |              ^^^^
"   help: did you mean `kappa`?
"
" The help joins the message; the lines between are left out.  Columns count letters, which
" %v does and %c does not.
if exists('current_compiler')
  finish
endif
let current_compiler = 'lqft'

if exists(':CompilerSet') != 2
  command -nargs=* CompilerSet setlocal <args>
endif

CompilerSet makeprg=lqft\ check\ %:S\ --color\ never\ $*
CompilerSet errorformat=%E%f:%l:%v:\ %trror[%*[A-Z]%n]:\ %m,
      \%W%f:%l:%v:\ %tarning[%*[A-Z]%n]:\ %m,
      \%Zhelp:\ %m,
      \%C%.%#,
      \%-G%.%#
