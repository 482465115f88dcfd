FROM a
RUN --mount=type=bind,target=<<EOF x
y
EOF
RUN y
