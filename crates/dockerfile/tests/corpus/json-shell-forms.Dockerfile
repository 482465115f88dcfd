FROM a
SHELL ["/bin/sh", "-c"]
SHELL [ "cmd" , "/S" , "/C" ]
