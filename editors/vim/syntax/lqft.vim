" Syntax of lqft.  The lists between `words:` and `end words` are written by
" editors/generate.py from the table of the compiler.
if exists('b:current_syntax')
  finish
endif
scriptencoding utf-8
let s:cpo = &cpo
set cpo&vim

syntax case match
syntax iskeyword @,48-57,_,39

" Names come first: whatever is defined below wins in the same place.  A letter of any
" alphabet begins one; a word after a point is a member, never a keyword.
syntax match lqftName /[[:alpha:]_\u0370-\U0001d7cb][[:alnum:]_'\u0300-\U0001d7cb]*/ transparent contains=NONE
syntax match lqftOperator /[-+*\/^<>=~]\|!=\|->\|\.\.\|[≤≥≠→∈·×⋅÷−]/
syntax match lqftOperator /[Σ∑∏Π∫]\ze\s*\[/
syntax match lqftNumber /\%(\d\+\%(_\d\+\)*\)\%(\.\.\@!\%(\d\+\%(_\d\+\)*\)\=\)\=\%([eE][-+]\=\d\+\)\=i\=/
syntax match lqftNumber /\.\d\+\%(_\d\+\)*\%([eE][-+]\=\d\+\)\=i\=/
syntax match lqftNumber /[½∞⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]\+/

" words:
syntax match lqftDeclaration /\<\%(import\|param\|axis\|grid\|lattice\|field\|data\|def\|action\|observable\|symmetry\|loss\|kernel\|layer\|network\|sampler\|optimizer\|scan\|sample\|minimize\|report\|plot\|save\|print\)\>/
syntax match lqftStatement /\<\%(repeat\|while\|for\|return\|accept\|monitor\|state\|warn\|reversible\|if\|then\|else\)\>/
syntax match lqftJoint /\<\%(with\|over\|of\|to\|as\)\>/
syntax match lqftWordOperator /\<\%(and\|or\|not\|in\)\>/
syntax match lqftConstant /\<\%(true\|false\|pi\|inf\)\>/
syntax match lqftReserved /\<\%(flow\|schedule\)\>/
syntax match lqftSpecial /\<\%(E\|grad\|warmup\|accepted\|iteration\|progress\|weight\|stop\|from\|keep\)\>/
syntax match lqftBinder /\<\%(sum\|prod\|max\|min\|mean\|integral\)\>\ze\s*\[/
syntax match lqftFunction /\<\%(exp\|expm1\|log\|log1p\|sin\|cos\|tan\|asin\|acos\|atan\|sinh\|cosh\|tanh\|asinh\|acosh\|atanh\|erf\|lgamma\|erfc\|digamma\|log_i0\|bessel_ratio\|softplus\|sigmoid\|sqrt\|abs\|sign\|floor\|round\|atan2\|pow\|hash\|mod\|min\|max\|Re\|Im\|conj\|arg\|sum\|prod\|mean\|volume\|size\|step\|extent\|position\|vary\|sites\|zeros\|identity\|window\|block\|coarse\|fine\|difference\|colour\|colours\|svd\|eigh\|cholesky\|solve\|logdet\|spread\|flat\|shaped\|normal\|uniform\|exponential\)\>\ze\s*(/
syntax match lqftMaker /\<\%(torus\|box\|linspace\|logspace\|points\|load\)\>\ze\s*(/
syntax match lqftPlot /\<\%(histogram\|history\|density\|paths\|lines\|map\|errors\)\>\ze\s*(/
syntax match lqftKind /\%(:\s*\)\@<=\<\%(real\|positive\|angle\|complex\|spin\)\>/
syntax match lqftBoundary /\<\%(periodic\|antiperiodic\|open\)\>/
syntax match lqftChoice /\%(=\s*\)\@<=\<\%(hot\|cold\|single\|double\)\>/
syntax match lqftSetting /\<\%(chains\|warmup\|draws\|thin\|precision\|start\|steps\|until\)\>\ze\s*=[^=]/
" end words

syntax match lqftMember /\%([^.]\.\s*\)\@<=[[:alpha:]_\u0370-\U0001d7cb][[:alnum:]_'\u0300-\U0001d7cb]*/ transparent contains=NONE
syntax region lqftString start=/"/ skip=/\\./ end=/"\|$/ oneline contains=lqftEscape
syntax match lqftEscape /\\[n"\\]/ contained
syntax match lqftComment /#.*$/ contains=lqftTodo,@Spell
syntax match lqftDocComment /^\s*##.*$/ contains=lqftTodo,@Spell
syntax keyword lqftTodo contained TODO FIXME XXX NOTE

highlight default link lqftDeclaration Structure
highlight default link lqftStatement   Statement
highlight default link lqftJoint       Keyword
highlight default link lqftWordOperator Operator
highlight default link lqftConstant    Constant
highlight default link lqftReserved    Error
highlight default link lqftSpecial     Special
highlight default link lqftBinder      Repeat
highlight default link lqftKind        Type
highlight default link lqftMaker       Function
highlight default link lqftFunction    Function
highlight default link lqftBoundary    Constant
highlight default link lqftChoice      Constant
highlight default link lqftSetting     Identifier
highlight default link lqftPlot        Function
highlight default link lqftNumber      Number
highlight default link lqftOperator    Operator
highlight default link lqftString      String
highlight default link lqftEscape      SpecialChar
highlight default link lqftComment     Comment
highlight default link lqftDocComment  SpecialComment
highlight default link lqftTodo        Todo

let b:current_syntax = 'lqft'
let &cpo = s:cpo
unlet s:cpo
