FROM debian
COPY --from=x --chown=1:2 --chmod=0755 --link a b
COPY --link=false --parents ./a/./b /c/
COPY --exclude=*.md --exclude="x y" a b
COPY --chown="a:b" c d
COPY -- --a b
