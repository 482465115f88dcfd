FROM a
LABEL "a"="b" 'c'='d' e.f-g=h
LABEL i j k
LABEL "l m" n
