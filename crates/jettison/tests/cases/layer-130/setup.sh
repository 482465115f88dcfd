{ echo FROM busybox; for n in $(seq 1 130); do echo "COPY f /d/$n"; done; echo 'RUN ls /d | wc -l > /count && rm /d/7 && echo changed > /d/8'; } > Dockerfile; echo text > f
