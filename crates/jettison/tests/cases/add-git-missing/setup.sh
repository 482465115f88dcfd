mkdir -p ../server ../work; cd ../work
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b.example GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b.example
git init -q -b main .; echo one > f; git add .; git commit -qm one
git clone -q --bare . ../server/repo.git; git -C ../server/repo.git update-server-info
