ARG FROM_IMAGE=ros:humble
ARG OVERLAY_WS=/opt/ros/overlay_ws
FROM $FROM_IMAGE AS cacher
ARG OVERLAY_WS
WORKDIR $OVERLAY_WS/src
RUN echo "\
repositories: \n\
  ros2/demos: \n\
    type: git \n\
    url: https://github.com/ros2/demos.git \n\
    version: ${ROS_DISTRO} \n\
" > ../overlay.repos
RUN vcs import ./ < ../overlay.repos
SHELL ["/bin/bash", "-c"]
RUN . /opt/ros/$ROS_DISTRO/setup.sh && colcon build --packages-select demo_nodes_cpp --mixin release
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "demo_nodes_cpp", "talker_listener.launch.py"]
