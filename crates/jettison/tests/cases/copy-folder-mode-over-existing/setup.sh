mkdir -p tree/sub; chmod 750 tree/sub; chmod 770 tree; echo g > tree/sub/g
