FROM a
RUN diff <(cat <<A
x
A
