mkdir -p real/sub; echo f > real/f; echo g > real/sub/g; echo t > real/a.txt; ln -s real l
