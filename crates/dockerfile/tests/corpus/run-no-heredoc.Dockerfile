FROM debian
RUN echo "<<A" '<<B' $((1<<2)) x<<C <<<d
RUN ["cat", "<<EOF"]
RUN echo it's <<E
