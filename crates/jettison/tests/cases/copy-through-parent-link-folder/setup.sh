mkdir -p real/sub; echo g > real/sub/g; ln -s real l
