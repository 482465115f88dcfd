# syntax=docker/dockerfile:1.10
FROM python:3.12
RUN --mount=type=secret,id=hf,env=HF_TOKEN,required=true pip install huggingface_hub && huggingface-cli download meta/x
RUN --mount=type=secret,id=netrc,target=/root/.netrc,mode=0400,uid=0 --network=host pip install -r req.txt
RUN --mount=type=ssh,id=gh git clone git@github.com:acme/private.git
RUN --mount=type=tmpfs,target=/scratch,size=64m --network=none ["python", "-m", "compileall", "/app"]
RUN --security=insecure mount -t tmpfs none /mnt
