output "mlops_hosts" {
  description = "Hosts for the inventory plugin mlops.hosts.terraform. It names no secret: an inventory shows it."
  value = {
    for name, host in aws_instance.host : name => {
      address       = host.private_ip
      groups        = var.hosts[name].groups
      instance_type = host.instance_type
      tags          = host.tags_all
      variables     = merge({ ansible_user = "admin" }, var.hosts[name].variables)
    }
  }
}
