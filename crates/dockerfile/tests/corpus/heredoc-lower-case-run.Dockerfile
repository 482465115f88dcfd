from a
run <<eof
x
eof
copy <<eof /y
z
eof
