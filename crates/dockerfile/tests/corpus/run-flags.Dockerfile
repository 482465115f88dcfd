FROM debian
RUN --mount=type=cache,target=/c --network=none --security=insecure a --not-a-flag
RUN --mount=type=secret,id=x,env="Y" b
RUN --mount='type=tmpfs,target=/t' ["c"]
RUN -- d
RUN --network=host -- --e
