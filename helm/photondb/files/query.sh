# A table is made, seen and dropped again, the way clients come.
#
# CONNECT   the driver port, HOST:PORT
# PASSWORD  the password of `admin`
# TLS_CA    the authorities of the nodes' certificates, where the port speaks TLS
set -eu

database=photondb_helm_test

as_admin() {
    photondb "$@" --connect "$CONNECT" --password "$PASSWORD" ${TLS_CA:+--tls-ca "$TLS_CA"}
}

if as_admin db list | grep -qx "$database"; then
    as_admin db drop "$database"
fi
as_admin db create "$database"
as_admin table create answers --db "$database"
as_admin table list --db "$database" | grep -qx answers
as_admin db drop "$database"
echo "a table was made, seen and dropped"
