FROM a AS -b
