From a As B
rUn x
CopY --from=B c d
OnBuild ruN y
HealthCheck noNe
onbuild HealthCheck Cmd z
