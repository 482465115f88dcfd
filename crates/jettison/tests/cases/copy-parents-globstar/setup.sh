mkdir -p src/a/b; touch top.go src/s.go src/a/t.go src/a/b/t.go src/a/b/n.txt
