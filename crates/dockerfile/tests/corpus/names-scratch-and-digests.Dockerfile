FROM scratch
FROM a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef AS d
FROM localhost:5000/x/y:1.2-a_b
