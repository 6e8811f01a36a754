# Founds the cluster that the nodes wait for, and waits until each of them is in it. It may run again at any time: nodes that are in
# a cluster stay in it.
#
# NODES               the cluster ports of the nodes; the first one founds
# CLUSTER_ID          the id of the cluster, always the same
# PHOTONCTL_PASSWORD  the password of `admin`
#
# Exit codes are those of photonctl.
set -u

first=${NODES%% *}

a_cluster_is_there() {
    for node in $NODES; do
        if photonctl --address "$node" --timeout 5 cluster info >/dev/null 2>&1; then
            echo "$node is in a cluster"
            return 0
        fi
    done
    return 1
}

# Exit code 3: nobody answers yet. 5: no answer in time, as when too few nodes are there for one to be sure that there is no cluster.
until a_cluster_is_there; do
    code=0
    photonctl --address "$first" --timeout 20 cluster init --cluster-id "$CLUSTER_ID" || code=$?
    case $code in
        0) break ;;
        3 | 5) sleep 2 ;;
        *) exit "$code" ;;
    esac
done

for node in $NODES; do
    until said=$(photonctl --address "$node" --timeout 5 node info 2>&1 >/dev/null); code=$?; [ "$code" = 0 ]; do
        echo "$said"
        [ "$code" = 3 ] || [ "$code" = 5 ] || exit "$code"
        sleep 2
    done
    echo "$node is in the cluster"
done
