mkdir -p real; echo g > real/a.txt; ln -s real l
