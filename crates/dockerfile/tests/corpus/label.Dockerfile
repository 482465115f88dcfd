FROM debian
LABEL a=b "c d"="e f" g.h/i='j'
LABEL k l m
LABEL com.example.x="multi \
line"
