FROM debian
RUN <<EOF
FROM x
RUN y
# escape=`
EOF
CMD z
