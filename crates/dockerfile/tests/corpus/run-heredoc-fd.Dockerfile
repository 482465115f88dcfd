FROM debian
RUN python3 0<<EOF - --x
print(1<<3)
EOF
