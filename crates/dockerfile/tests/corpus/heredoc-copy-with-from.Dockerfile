FROM a
COPY --from=b --chmod=0644 <<A c <<B /d/
1
A
2
B
