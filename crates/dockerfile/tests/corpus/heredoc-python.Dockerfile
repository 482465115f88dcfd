FROM a
RUN python3 <<EOF
import os
for i in range(3):
    print(f"{i}\t")
EOF
