FROM fedora:40
RUN dnf -y install --setopt=install_weak_deps=False ansible-core 'python3-*lxml' && dnf clean all
RUN ansible-galaxy collection install community.general:==8.6.0 -p /usr/share/ansible/collections
RUN ssh-keyscan github.com 2>/dev/null >> /etc/ssh/ssh_known_hosts
ENTRYPOINT ["ansible-playbook"]
CMD ["-i", "localhost,", "site.yml"]
