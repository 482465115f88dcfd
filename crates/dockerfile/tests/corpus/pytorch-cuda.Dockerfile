ARG CUDA=12.4.1
FROM nvidia/cuda:${CUDA}-cudnn-devel-ubuntu22.04
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
SHELL ["/bin/bash", "-euxo", "pipefail", "-c"]
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
  rm -f /etc/apt/apt.conf.d/docker-clean; apt-get update && apt-get install -y python3-pip
RUN --device=nvidia.com/gpu=all --mount=type=cache,target=/root/.cache/pip pip install torch --index-url https://download.pytorch.org/whl/cu124
RUN python3 - <<'PY'
import torch
print(torch.__version__, torch.cuda.is_available())
PY
