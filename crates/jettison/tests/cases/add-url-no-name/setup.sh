mkdir ../server
