# check=skip=JSONArgsRecommended,StageNameCasing;error=true
FROM a AS B
CMD x
