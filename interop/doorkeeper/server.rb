# frozen_string_literal: true

# Doorkeeper as an authorization server for the tests in the parent folder: a Rails application in one file.
#
#   PORT=9000 CLIENTS_FILE=clients.json ruby server.rb
#
# It listens on loopback alone and keeps its database in the working directory. CLIENTS_FILE is {"id": "secret", ...}.
# Every client may get tokens by client credentials, for the scopes orders:read and orders:write, and introspect those of
# all others. When it is ready it prints "ready" to stdout. When stdin closes it exits, so that it never outlives the test that
# started it.

require "json"
require "logger" # ActiveSupport 6.1 forgets to
require "active_record"
require "action_controller/railtie"
require "doorkeeper"
require "rack/handler/webrick"

class Application < Rails::Application
  config.root = Dir.pwd
  config.eager_load = false
  config.secret_key_base = SecureRandom.hex(64)
  config.logger = Logger.new($stderr)
  config.log_level = :warn
  config.hosts.clear
end

ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: "doorkeeper.sqlite3", pool: 32, timeout: 5000)

ActiveRecord::Schema.verbose = false
ActiveRecord::Schema.define do
  create_table :oauth_applications do |t|
    t.string :name, null: false
    t.string :uid, null: false, index: { unique: true }
    t.string :secret, null: false
    t.text :redirect_uri
    t.string :scopes, null: false, default: ""
    t.boolean :confidential, null: false, default: true
    t.timestamps null: false
  end
  create_table :oauth_access_tokens do |t|
    t.references :resource_owner
    t.references :application, null: false
    t.string :token, null: false, index: { unique: true }
    t.string :refresh_token, index: { unique: true }
    t.integer :expires_in
    t.datetime :revoked_at
    t.datetime :created_at, null: false
    t.string :scopes
  end
end

Doorkeeper.configure do
  orm :active_record
  api_only
  base_controller "ActionController::API"
  grant_flows %w[client_credentials]
  optional_scopes "orders:read", "orders:write"
  access_token_expires_in 10.minutes
  allow_token_introspection { |_token, _client, _authorized_token| true }
end

Rails.application.initialize!
Rails.application.routes.draw do
  use_doorkeeper { skip_controllers :authorizations, :applications, :authorized_applications }
end

JSON.parse(File.read(ENV.fetch("CLIENTS_FILE"))).each do |id, secret|
  Doorkeeper::Application.create!(name: id, uid: id, secret: secret, redirect_uri: "", scopes: "orders:read orders:write")
end

Thread.new do
  $stdin.read
  exit!(0)
end

$stdout.sync = true
Rack::Handler::WEBrick.run(
  Rails.application,
  Host: "127.0.0.1", Port: Integer(ENV.fetch("PORT")), AccessLog: [], DoNotReverseLookup: true,
  Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN), StartCallback: -> { puts "ready" }
)
