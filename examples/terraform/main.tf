# GPU hosts in AWS, and the output that the inventory plugin mlops.hosts.terraform reads. In another cloud, the resource is
# another one, and the output has the same shape.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

resource "aws_instance" "host" {
  for_each = var.hosts

  ami                    = var.ami
  instance_type          = each.value.instance_type
  subnet_id              = var.subnet_id
  vpc_security_group_ids = var.security_group_ids
  key_name               = var.key_name

  metadata_options {
    http_tokens = "required"
  }

  root_block_device {
    encrypted   = true
    volume_size = each.value.disk_gib
  }

  tags = {
    Name         = each.key
    mlops_groups = join(",", each.value.groups)
  }
}
