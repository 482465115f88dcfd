FROM a
RUN echo "<<EOF"
RUN sh -c 'cat <<EOF'
RUN y
