FROM julia:1.10
ENV JULIA_DEPOT_PATH=/opt/julia:$JULIA_DEPOT_PATH JULIA_CPU_TARGET="generic;sandybridge,-xsaveopt,clone_all"
RUN julia -e 'using Pkg; Pkg.add(["IJulia", "Plots"]); Pkg.precompile()'
CMD ["julia"]
