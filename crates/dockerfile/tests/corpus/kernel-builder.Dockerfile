FROM archlinux:base-devel
RUN pacman -Syu --noconfirm bc cpio kmod libelf && pacman -Scc --noconfirm
RUN useradd -m b && echo "b ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/b
USER b
WORKDIR /home/b/linux
COPY --chown=b config .config
RUN make olddefconfig && make -j$(($(nproc) + 1)) bzImage modules
