FROM a
COPY --exclude=a --exclude=b* --exclude="c d" --exclude=**/e . /
