truncate -s 3000000 sparse; printf end >> sparse; printf mid | dd of=sparse bs=1 seek=1500000 conv=notrunc 2>/dev/null
