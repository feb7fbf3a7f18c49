variable "token" {
  type      = string
  sensitive = true
  default   = "not-a-real-token"
}

locals {
  hosts = {
    ml1 = { address = "10.0.0.4", groups = ["ml_hosts"], instance_type = "g6.12xlarge" }
    gw1 = { address = "10.0.0.5", groups = ["gateways"], instance_type = "c7i.large" }
  }
}

output "mlops_hosts" {
  value = {
    for name, host in local.hosts : name => {
      address       = host.address
      groups        = host.groups
      instance_type = host.instance_type
      tags          = { team = "serving" }
      variables     = { ansible_user = "admin" }
    }
  }
}

output "secret_hosts" {
  sensitive = true
  value     = { ml1 = { address = "10.0.0.4", token = var.token } }
}
