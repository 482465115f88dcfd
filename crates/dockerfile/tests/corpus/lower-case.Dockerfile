from debian
run echo a
copy a b
add c d
env e=f
label g=h
user i
workdir /j
expose 80
volume /k
cmd l
entrypoint m
stopsignal 9
maintainer n
