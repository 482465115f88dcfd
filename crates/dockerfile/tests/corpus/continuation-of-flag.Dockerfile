FROM --plat\
form=linux/amd64 a
COPY --fr\
om=b c d
