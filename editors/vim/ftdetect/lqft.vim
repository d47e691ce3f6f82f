" Model files of lqft.
autocmd BufRead,BufNewFile *.lqft setfiletype lqft
