mkdir -p ../server ../work; cd ../work
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b.example GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b.example GIT_AUTHOR_DATE='2001-02-03T04:05:06Z' GIT_COMMITTER_DATE='2001-02-03T04:05:06Z'
git init -q -b main .; mkdir sub; echo one > f; echo two > sub/g; chmod 755 sub/g; ln -s f l; git add .; git commit -qm one; git tag v1; echo three > sub/h; git add .; git commit -qm two
git clone -q --bare . ../server/repo.git; git -C ../server/repo.git update-server-info
