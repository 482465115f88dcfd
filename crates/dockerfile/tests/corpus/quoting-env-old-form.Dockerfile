FROM a
ENV a   b  c   d
ENV b "c d" 'e
ENV c \d
